// Does as little as a guest can, so that what is measured is the host.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define HOST "perf:bench/host@1.0.0"

IMPORT(HOST, "nothing") int32_t nothing(int32_t x);
IMPORT(HOST, "check") int32_t check(const char *path, size_t size);
IMPORT(HOST, "take") int32_t take(const char *path, size_t size);
IMPORT(HOST, "later") int32_t later(int32_t x);
IMPORT(HOST, "read") void host_read(uint32_t size, bytes_t *result);
IMPORT(HOST, "[constructor]thing") uint32_t thing_new(int32_t value);
IMPORT(HOST, "[method]thing.get") int32_t thing_get(uint32_t thing);
IMPORT(HOST, "[resource-drop]thing") void thing_drop(uint32_t thing);

#define POST(name) EXPORT("cabi_post_" name) void

static bytes_t returned;

static void *echo(char *data, size_t size) {
  returned = (bytes_t){data, size};
  return &returned;
}

EXPORT("add") int32_t add(int32_t a, int32_t b) { return a + b; }

EXPORT("echo-text") void *echo_text(char *data, size_t size) { return echo(data, size); }
POST("echo-text") post_echo_text(void *result) { (void)result; release_all(); }
EXPORT("echo-bytes") void *echo_bytes(char *data, size_t size) { return echo(data, size); }
POST("echo-bytes") post_echo_bytes(void *result) { (void)result; release_all(); }
// A list of records lies in memory as it will be handed back.
EXPORT("echo-records") void *echo_records(char *data, size_t size) { return echo(data, size); }
POST("echo-records") post_echo_records(void *result) { (void)result; release_all(); }

static struct {
  uint32_t id;
  double value;
  bytes_t place;
} reading;

EXPORT("echo-record") void *echo_record(uint32_t id, double value, char *place, size_t size) {
  reading.id = id;
  reading.value = value;
  reading.place = (bytes_t){place, size};
  return &reading;
}
POST("echo-record") post_echo_record(void *result) { (void)result; release_all(); }

EXPORT("nothing-n") int32_t nothing_n(int32_t n) {
  int32_t last = 0;
  while (n--) last = nothing(last);
  return last;
}

EXPORT("later-n") int32_t later_n(int32_t n) {
  int32_t last = 0;
  while (n--) last = later(last);
  return last;
}

#define PATH TEXT("/var/lib/app/data/config.toml")

EXPORT("check-n") int32_t check_n(int32_t n) {
  bytes_t path = PATH;
  int32_t granted = 0;
  while (n--) granted += check(path.data, path.size);
  return granted;
}

EXPORT("take-n") int32_t take_n(int32_t n) {
  bytes_t path = PATH;
  int32_t taken = 0;
  while (n--) taken += take(path.data, path.size);
  return taken;
}

EXPORT("read-n") int32_t read_n(int32_t n, uint32_t size) {
  int32_t sum = 0;
  while (n--) {
    host_read(size, &returned);
    sum += (int32_t)returned.size;
    release_all();
  }
  return sum;
}

EXPORT("things-n") int32_t things_n(int32_t n) {
  int32_t sum = 0;
  while (n--) {
    uint32_t thing = thing_new(1);
    sum += thing_get(thing);
    thing_drop(thing);
  }
  return sum;
}
