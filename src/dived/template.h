/*
 * template - a process that has loaded PAM and name services, and forks sessions.
 *
 * Loading a service's modules costs as much as a whole PAM transaction without
 * it; a fork of a process that has done it gets it for nothing.  A template
 * does no PAM work and talks to nobody but the listener.  A reload is a new
 * template; the old one ends when the listener closes its side.
 */
#pragma once

#include "config.h"
#include "service.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TEMPLATE_TEXT_MAX SERVICE_TEXT_MAX

struct template
{
	pid_t pid;   /* 0: none */
	int control; /* SOCK_SEQPACKET; owned; -1: none */
	bool reaped; /* the process has ended and been waited for */
};

/* Sent once by a template when it is ready to fork. */
struct template_report {
	uint32_t broken;	      /* the service cannot be used; sessions refuse */
	char text[TEMPLATE_TEXT_MAX]; /* why */
};

/* Forks a template.  Return: 0 or -errno. */
int template_start(const struct config *config, struct template *ret);

/*
 * Receives the report, without waiting.
 * Return: 0; -EAGAIN; -EPIPE the template has ended; -errno.
 */
int template_receive(const struct template *template, struct template_report *ret);

/*
 * Hands a connection and the session's side of its control socket on; both stay
 * the caller's as well.  Return: 0; -EAGAIN its queue is full; -EPIPE; -errno.
 */
int template_hand(const struct template *template, int conn, int control);

/* Lets it end, once it has forked for what is still in its queue. */
void template_retire(struct template *template);
