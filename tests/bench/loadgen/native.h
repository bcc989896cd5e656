/* native.h - what the files of the native roles know of each other */
#pragma once
#include "load.h"
#include "client.h"

extern struct bus g_client;             /* the client is the emitter, too */
extern uint8_t *g_payload;

void native_connect(struct bus *b);
uint64_t native_value(struct bus *b, uint32_t cookie);
uint64_t native_introduce(struct bus *b);
void native_payload(void);
void native_check(const uint8_t *p, uint64_t size, uint32_t seq);
const struct data *native_message(const struct header *h, const struct bus *from);
void native_await(struct bus *b, const char *what);
void native_nothing_left(struct bus *b);
