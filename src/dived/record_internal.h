/*
 * record_internal - what records are composed of, field by field.
 *
 * Each function adds " NAME=VALUE" to the end of the text.  Who calls has made sure of the
 * room, by the bounds that record.c asserts; what would not fit is a bug.
 */
#pragma once

#include "record.h"

#define RECORD_NUMBER_ROOM 32 /* " name_cut=" of a short name, and 20 digits */

/* Text of our own making, in no encoding. */
void record_add(struct record *record, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void record_add_id(struct record *record, const char *name, uint32_t id);

/* A text of at most `max` bytes, with a marker where that is not all; "?" for NULL. */
void record_add_text(struct record *record, const char *name, const char *value, size_t max);

/* The first `len` bytes at `value`, of `total` there are, and a marker where that is not all. */
void record_add_value(struct record *record, const char *name, const char *value, size_t len,
		      size_t total);

/* The last text of a record, which may take all the room that is left. */
void record_add_last(struct record *record, const char *name, const char *value, size_t len,
		     size_t total);

/* The room for the value of a field that comes last, but for `reserve` bytes. */
size_t record_last_room(const struct record *record, const char *name, size_t reserve);

/* How many bytes of a value fit into `room` bytes when encoded; quotes are extra. */
size_t record_fit(enum record_style style, const char *value, size_t len, size_t room);
