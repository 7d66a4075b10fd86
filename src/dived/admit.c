/*
 * admit - mode, owner and --allow, by what the kernel says of a client.
 */
#include "admit.h"

#include "peer.h"

static bool mode_admits(const struct config *config, const struct peer *peer)
{
	uid_t owner = config->socket_uid == (uid_t)-1 ? config->inherited.uid : config->socket_uid;
	gid_t group = config->socket_gid == (gid_t)-1 ? config->inherited.gid : config->socket_gid;

	if (peer->uid == 0)
		return true; /* as root may open any file */
	if (peer->uid == owner)
		return config->socket_mode & 0200; /* connect(2) asks for write permission */
	if (peer_in_group(peer, group))
		return config->socket_mode & 0020;
	return config->socket_mode & 0002;
}

static bool list_admits(const struct config *config, const struct peer *peer)
{
	if (!config->allow_set)
		return true;
	for (size_t i = 0; i < config->allow_uid_count; i++)
		if (config->allow_uids[i] == peer->uid)
			return true;
	for (size_t i = 0; i < config->allow_gid_count; i++)
		if (peer_in_group(peer, config->allow_gids[i]))
			return true;
	return false;
}

const char *admit_judge(const struct config *config, int conn, bool abstract, struct ucred *ret,
			bool *ret_root)
{
	socklen_t len = sizeof(*ret);
	struct peer peer = { .pidfd = -1 };

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, ret, &len))
		return "the client cannot be identified";
	if (!abstract && !config->allow_set && ret->uid != 0)
		return NULL;
	if (peer_read(conn, &peer))
		return "the client cannot be identified";
	bool admitted = (!abstract || mode_admits(config, &peer)) && list_admits(config, &peer);
	*ret_root = peer.root;
	peer_done(&peer);
	return admitted ? NULL : "this account may not use the gateway";
}

void admit_record(enum config_audit mode, const struct audit_facts *facts, int conn,
		  const char *text)
{
	struct audit_facts known = *facts;
	struct peer peer = { .pidfd = -1 };
	struct audit audit;
	struct fault fault;
	char id[AUDIT_ID_SIZE];

	if (known.id[0] == '\0' && audit_new_id(id) == 0)
		known.id = id;
	if (peer_read(conn, &peer) == 0) {
		known.peer = &peer;
		known.login_uid_kept = audit_set_login_uid(peer.login_uid) == 0 && peer.known;
	}
	(void)fault_set(&fault, MESSAGE_LAYER_GATEWAY, "admission", 0, "%s", text);
	if (known.peer) {
		(void)audit_init(mode, &audit); /* or there is syslog */
		audit_refuse(&audit, &known, &fault);
		audit_done(&audit);
	}
	peer_done(&peer);
}
