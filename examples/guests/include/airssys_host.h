// What an actor in C may ask of its host: messaging, logging, storage. Each import that a guest calls becomes an import
// of its component; what it does not call is not imported.
#ifndef AIRSSYS_HOST_H
#define AIRSSYS_HOST_H

#include "airssys_actor.h"

// airssys:actor/messaging

// variant error, in its order; SENT is ours.
typedef enum {
  SENT = -1,
  NOT_PERMITTED,
  MALFORMED,
  OVER_QUOTA,
  MAILBOX_FULL,
  DIED,
  TIMED_OUT,
  CYCLE,
  FAILED,
} delivery_t;

// result<_, error>: 0: result (u8)   4: error's case (u8)   8: address of the text of `failed`   12: its size
typedef struct {
  uint8_t is_error;
  uint32_t error;
  const char *text;
  size_t text_size;
} send_result_t;

IMPORT("airssys:actor/messaging@0.1.0", "send")
void import_send(const char *to, size_t to_size, int32_t kind, const char *body, size_t body_size, send_result_t *result);

static inline delivery_t send(bytes_t to, body_t body) {
  send_result_t result;
  import_send(to.data, to.size, body.kind, body.bytes.data, body.bytes.size, &result);
  if (!result.is_error) return SENT;
  delivery_t error = (delivery_t)(result.error & 0xff);
  if (error == FAILED) release(result.text);
  return error;
}

// wasi:logging

typedef enum { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_CRITICAL } log_level_t;

IMPORT("wasi:logging/logging@0.1.0-draft", "log")
void import_log(int32_t level, const char *context, size_t context_size, const char *message, size_t message_size);

static inline void write_log(log_level_t level, bytes_t context, bytes_t message) {
  import_log(level, context.data, context.size, message.data, message.size);
}

// wasi:keyvalue/store

// variant error, in its order; STORED is ours.
typedef enum { STORED = -1, NO_SUCH_STORE, STORE_ACCESS_DENIED, STORE_OTHER } store_outcome_t;

// result<own<bucket>, error> and result<_, error>:
//   0: result (u8)   4: handle, or error's case (u8)   8: address of the text of `other`   12: its size
typedef struct {
  uint8_t is_error;
  uint32_t value;
  const char *text;
  size_t text_size;
} store_result_t;

typedef uint32_t bucket_t;

IMPORT("wasi:keyvalue/store@0.2.0-draft", "open")
void import_open_bucket(const char *name, size_t name_size, store_result_t *result);
IMPORT("wasi:keyvalue/store@0.2.0-draft", "[method]bucket.set")
void import_bucket_set(bucket_t, const char *key, size_t key_size, const char *value, size_t value_size, store_result_t *);

IMPORT("wasi:keyvalue/store@0.2.0-draft", "[resource-drop]bucket") void drop_bucket(bucket_t);

static inline store_outcome_t store_outcome(const store_result_t *result) {
  if (!result->is_error) return STORED;
  store_outcome_t error = (store_outcome_t)(result->value & 0xff);
  if (error == STORE_OTHER) release(result->text);
  return error;
}

static inline store_outcome_t open_bucket(bytes_t name, bucket_t *bucket) {
  store_result_t result;
  import_open_bucket(name.data, name.size, &result);
  *bucket = result.value;
  return store_outcome(&result);
}

static inline store_outcome_t store_value(bucket_t bucket, bytes_t key, bytes_t value) {
  store_result_t result;
  import_bucket_set(bucket, key.data, key.size, value.data, value.size, &result);
  return store_outcome(&result);
}

#endif
