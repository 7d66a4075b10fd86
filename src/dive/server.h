/*
 * server - the other end of the connection: reach it, trust it, hear from it.
 */
#pragma once

#include "config.h"
#include "failure.h"
#include "message.h"

#define SERVER_SEND_MS 30000 /* for the server to take what is sent to it */

/**
 * server_connect() - connect to the gateway and check who listens there
 *
 * Nothing is sent.  The listener must run as root, as dive's own real or
 * effective uid, or as config->server_uid.  Blocks while the listener's backlog
 * is full, 10 s at most.
 *
 * Return: 0 with a connected, close-on-exec socket in *ret_sock, owned by the
 * caller; FAILED.
 */
int server_connect(const struct client_config *config, int *ret_sock, struct failure *failure);

/**
 * server_recv() - wait for a packet of the server, for as long as it takes
 * @state: enum message_state, of dive
 * @ret: as packet_recv()
 *
 * A packet that has begun has 30 s to arrive in full.  A REFUSED is not
 * returned: it becomes the failure.
 *
 * Return: 0; -EPIPE when the server closed the connection between packets;
 * FAILED.
 */
int server_recv(int sock, uint32_t state, struct packet *ret, struct failure *failure);

/* The failure for a connection that ended too soon.  Returns FAILED. */
int server_dropped(struct failure *failure);

/* The failure for a packet that means nothing here.  Returns FAILED. */
int server_confused(struct failure *failure, const char *what);
