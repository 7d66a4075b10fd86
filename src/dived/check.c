/*
 * check - dived --check: a gateway tried and described, and not served.
 */
#include "check.h"

#include "gateway.h"
#include "listener.h"
#include "namespace.h"

static void print_audit(const struct config *config, const struct gateway_audit *audit, FILE *out)
{
	static const char *const words[] = {
		[CONFIG_AUDIT_AUTO] = "records to the kernel where it audits, and to syslog",
		[CONFIG_AUDIT_REQUIRE] = "nothing runs without a record in the kernel",
		[CONFIG_AUDIT_OFF] = "records to syslog only",
	};

	if (gateway_is_unrecorded(config)) {
		(void)fputs("  audit: nothing is recorded, as without PAM -J is a command like any "
			    "other\n",
			    out);
		return;
	}
	(void)fprintf(out, "  audit: %s", words[config->audit]);
	if (config->audit != CONFIG_AUDIT_OFF) /* else the kernel has not been asked */
		(void)fprintf(out, "; kernel auditing is %s", audit_state_name(audit->state));
	(void)fputc('\n', out);
	if (audit->login_uid_fixed)
		(void)fputs("  audit: clients who have another login uid than dived are refused: "
			    "the kernel lets none be replaced (loginuid_immutable)\n",
			    out);
}

int check_gateway(struct config *config, FILE *out, char *error, size_t size)
{
	struct namespaces namespaces = NAMESPACES_NONE;
	struct gateway_audit audit = { .state = AUDIT_STATE_UNKNOWN };
	int r = gateway_check_place(config, error, size);

	if (r == 0)
		r = gateway_tie(config, &namespaces, error, size);
	namespaces_done(&namespaces);
	config->namespaces = NULL;
	if (r == 0 && !config->no_pam)
		r = listener_check(config, error, size);
	if (r == 0 && !gateway_is_unrecorded(config))
		r = gateway_check_audit(config, false, &audit, error, size);
	if (r)
		return r;
	config_print(config, out);
	print_audit(config, &audit, out);
	return 0;
}
