/*
 * phases - what libpam calls in a module, for modules whose behaviour is written in the
 * service: each phase is run() with its name and the arguments of the line.
 */
#pragma once

#include <security/pam_modules.h>

/* Defined by the module.  Return: the phase's result. */
static int run(pam_handle_t *pamh, const char *phase, int argc, const char **argv);

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return run(pamh, "authenticate", argc, argv);
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	if ((unsigned)flags & PAM_ESTABLISH_CRED)
		return run(pamh, "establish", argc, argv);
	return run(pamh, (unsigned)flags & PAM_DELETE_CRED ? "delete" : "credentials", argc, argv);
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return run(pamh, "account", argc, argv);
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return run(pamh, "open", argc, argv);
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return run(pamh, "close", argc, argv);
}

int pam_sm_chauthtok(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	return run(pamh, (unsigned)flags & PAM_PRELIM_CHECK ? "prelim" : "update", argc, argv);
}
