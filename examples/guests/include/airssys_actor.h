// An actor in C: the canonical ABI of airssys:actor@0.1.0, written by hand, for guests built with zig's C library or
// with none (define AIRSSYS_FREESTANDING for the latter).
//
// A guest defines `answer_t handle(message_t message)`. The bytes of the message are there until the host has read the
// answer; those of the answer must not lie on the stack, and nobody frees them.
//
// How the component model flattens a type into these parameters and offsets is the specification's
// (CanonicalABI.md: "flattening" and "alignment"). Each layout stands beside the code that reads it.
#ifndef AIRSSYS_ACTOR_H
#define AIRSSYS_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

typedef struct {
  const char *data;
  size_t size;
} bytes_t;

#define TEXT(literal) ((bytes_t){(literal), sizeof(literal) - 1})

// variant payload { text(string), binary(list<u8>) }
typedef enum { BODY_TEXT = 0, BODY_BINARY = 1 } body_kind_t;
typedef struct {
  body_kind_t kind;
  bytes_t bytes;
} body_t;

typedef struct {
  bool from_component; // false: the embedding application sent it
  bytes_t sender;
  body_t body;
} message_t;

// result<option<payload>, string>
typedef enum { ANSWER_TEXT, ANSWER_BINARY, ANSWER_NOTHING, ANSWER_ERROR } answer_kind_t;
typedef struct {
  answer_kind_t kind;
  bytes_t bytes;
} answer_t;

answer_t handle(message_t message);

static inline bool is_text(bytes_t bytes, const char *text) {
  size_t i = 0;
  while (i < bytes.size && text[i] && bytes.data[i] == text[i]) i++;
  return i == bytes.size && !text[i];
}

// Memory that the host fills: arguments of exports and results of imports.

#ifdef AIRSSYS_FREESTANDING

extern unsigned char __heap_base;
static uintptr_t heap_top;

// All of it is taken back at once, after each call.
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  if (!heap_top) heap_top = (uintptr_t)&__heap_base;
  heap_top = (heap_top + align - 1) & ~(uintptr_t)(align - 1);
  char *made = (char *)heap_top;
  heap_top += size;
  size_t wanted = (heap_top + 65535) / 65536, have = __builtin_wasm_memory_size(0);
  if (wanted > have && __builtin_wasm_memory_grow(0, wanted - have) == (size_t)-1) __builtin_trap();
  for (size_t i = 0; i < old_size && i < size; i++) made[i] = ((char *)old)[i];
  return made;
}

static inline void release(const void *memory) { (void)memory; }
static inline void release_all(void) { heap_top = 0; }

// Without a C library the compiler still calls these.
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  for (size_t i = 0; i < size; i++) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}
void *memset(void *to, int value, size_t size) {
  for (volatile size_t i = 0; i < size; i++) ((char *)to)[i] = (char)value;
  return to;
}

#else

#include <stdlib.h>

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  if (!size) return (void *)align; // an empty list needs an aligned address and no memory
  void *made = realloc(old, size);
  if (!made) __builtin_trap();
  return made;
}

// `cabi_realloc` gives the alignment as the address of an empty list: never more than 8.
static inline void release(const void *memory) {
  if ((uintptr_t)memory > 8) free((void *)memory);
}
static inline void release_all(void) {}

#endif

#ifndef AIRSSYS_NO_HANDLER // for a component that is not an actor

// The export. record message { sender: option<string>, body: payload } arrives as six numbers; the result lies in memory:
//   0: result (u8)   4: option (u8)   8: payload's case (u8)   12: address   16: size
//   for an error:    4: address       8: size

static struct {
  uint32_t is_error;
  union {
    struct {
      uint32_t is_some, kind;
      const char *data;
      size_t size;
    } ok;
    struct {
      const char *data;
      size_t size;
    } error;
  } as;
} lowered_answer;
static char *message_memory[2]; // kept until the host has read the answer: it may be the message itself

EXPORT("airssys:actor/handler@0.1.0#handle")
void *lift_handle(int32_t has_sender, char *sender, size_t sender_size, int32_t kind, char *body, size_t body_size) {
  answer_t answer = handle((message_t){
      .from_component = has_sender,
      .sender = {has_sender ? sender : "", has_sender ? sender_size : 0},
      .body = {(body_kind_t)kind, {body, body_size}},
  });
  message_memory[0] = has_sender ? sender : NULL;
  message_memory[1] = body;
  lowered_answer.is_error = answer.kind == ANSWER_ERROR;
  if (answer.kind == ANSWER_ERROR) {
    lowered_answer.as.error.data = answer.bytes.data;
    lowered_answer.as.error.size = answer.bytes.size;
  } else {
    lowered_answer.as.ok.is_some = answer.kind != ANSWER_NOTHING;
    lowered_answer.as.ok.kind = answer.kind == ANSWER_BINARY;
    lowered_answer.as.ok.data = answer.bytes.data;
    lowered_answer.as.ok.size = answer.bytes.size;
  }
  return &lowered_answer;
}

EXPORT("cabi_post_airssys:actor/handler@0.1.0#handle") void after_handle(void *answer) {
  (void)answer;
  release(message_memory[0]);
  release(message_memory[1]);
  release_all();
}

#endif

#endif
