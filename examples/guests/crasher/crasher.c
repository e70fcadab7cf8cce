// Works, until it is told to crash: "crash" executes an instruction that cannot be executed, "divide" divides by zero,
// "reach" reads outside its memory, "recurse" uses up its stack. Any other message is answered with itself.
#define AIRSSYS_FREESTANDING
#include "airssys_host.h"

static volatile int32_t zero, one = 1, depth = INT32_MAX;

__attribute__((noinline)) static int32_t recurse(int32_t depth) {
  volatile char frame[64];
  frame[depth & 63] = (char)depth;
  return depth ? recurse(depth - 1) + frame[0] : 0;
}

answer_t handle(message_t message) {
  if (is_text(message.body.bytes, "crash")) __builtin_trap();
  if (is_text(message.body.bytes, "divide")) zero = one / zero;
  if (is_text(message.body.bytes, "reach")) zero = *(volatile int32_t *)0xfffffff0u;
  if (is_text(message.body.bytes, "recurse")) zero = recurse(depth);
  bucket_t bucket;
  if (open_bucket(TEXT("default"), &bucket) != STORED || store_value(bucket, TEXT("last"), message.body.bytes) != STORED)
    return (answer_t){ANSWER_ERROR, TEXT("it may not keep anything")};
  drop_bucket(bucket);
  return (answer_t){message.body.kind == BODY_TEXT ? ANSWER_TEXT : ANSWER_BINARY, message.body.bytes};
}
