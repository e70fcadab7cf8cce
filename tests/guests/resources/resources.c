// Both sides of resources: implements one, uses another, and breaks the rules of handles when it is asked to.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define COUNTERS "test:resources/counters@1.0.0"
#define THINGS "test:resources/things@1.0.0"
#define USES "test:resources/uses@1.0.0"
#define MOST 256

typedef struct {
  const char *data;
  size_t size;
} list_t;

static list_t returned;
#define POST(name) EXPORT("cabi_post_" name) void

// counters

IMPORT("[export]" COUNTERS, "[resource-new]counter") uint32_t counter_new(uint32_t representation);
IMPORT("[export]" COUNTERS, "[resource-rep]counter") uint32_t counter_rep(uint32_t handle);
IMPORT("[export]" COUNTERS, "[resource-drop]counter") void counter_drop(uint32_t handle);

static uint32_t values[MOST], used[MOST], live, last_destroyed;

static uint32_t counter_make(uint32_t start) {
  for (uint32_t slot = 1; slot < MOST; slot++)
    if (!used[slot]) {
      used[slot] = 1;
      values[slot] = start;
      live++;
      return counter_new(slot);
    }
  __builtin_trap();
}

EXPORT(COUNTERS "#[constructor]counter") uint32_t export_counter(uint32_t start) { return counter_make(start); }
EXPORT(COUNTERS "#[method]counter.add") uint32_t export_add(uint32_t slot, uint32_t by) { return values[slot] += by; }
EXPORT(COUNTERS "#[static]counter.live") uint32_t export_live(void) { return live; }
EXPORT(COUNTERS "#[static]counter.last-destroyed") uint32_t export_last_destroyed(void) { return last_destroyed; }
EXPORT(COUNTERS "#[dtor]counter") void destroy_counter(uint32_t slot) {
  if (!used[slot]) __builtin_trap();
  used[slot] = 0;
  live--;
  last_destroyed = values[slot];
}

EXPORT(COUNTERS "#merge") uint32_t export_merge(uint32_t a, uint32_t b) {
  uint32_t sum = values[counter_rep(a)] + values[counter_rep(b)];
  counter_drop(a);
  counter_drop(b);
  return counter_make(sum);
}
// A borrowed handle of the guest's own resource arrives as its representation.
EXPORT(COUNTERS "#peek") uint32_t export_peek(uint32_t slot) { return values[slot]; }
EXPORT(COUNTERS "#sum") uint32_t export_sum(const uint32_t *slots, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i < size; i++) sum += values[slots[i]];
  return sum;
}
EXPORT(COUNTERS "#several") void *export_several(uint32_t *starts, size_t size) {
  for (size_t i = 0; i < size; i++) starts[i] = counter_make(starts[i]);
  returned = (list_t){(char *)starts, size};
  return &returned;
}
POST(COUNTERS "#several") post_several(void *result) { (void)result; release_all(); }
EXPORT(COUNTERS "#maybe") void *export_maybe(int32_t is_some, uint32_t start) {
  static struct { uint32_t is_some, handle; } result;
  result.is_some = (uint32_t)is_some;
  result.handle = is_some ? counter_make(start) : 0;
  return &result;
}

// uses

IMPORT(THINGS, "[constructor]thing") uint32_t thing_new(const char *name, size_t size);
IMPORT(THINGS, "[method]thing.name") void thing_name(uint32_t thing, list_t *result);
IMPORT(THINGS, "[method]thing.rename") void thing_rename(uint32_t thing, const char *name, size_t size);
IMPORT(THINGS, "[static]thing.count") uint32_t thing_count(void);
IMPORT(THINGS, "[resource-drop]thing") void thing_drop(uint32_t thing);
IMPORT(THINGS, "find") void thing_find(const char *name, size_t size, uint32_t result[2]);
IMPORT(THINGS, "inspect") uint32_t thing_inspect(uint32_t borrowed);
IMPORT(THINGS, "consume") void thing_consume(uint32_t own, list_t *result);

EXPORT(USES "#make-and-drop") void *make_and_drop(const char *name, size_t size) {
  uint32_t thing = thing_new(name, size);
  thing_rename(thing, "renamed", 7);
  thing_name(thing, &returned);
  thing_drop(thing);
  return &returned;
}
EXPORT(USES "#make-and-keep") uint32_t make_and_keep(const char *name, size_t size) {
  uint32_t thing = thing_new(name, size);
  release_all();
  return thing;
}
EXPORT(USES "#drop-number") void drop_number(uint32_t handle) { thing_drop(handle); }
EXPORT(USES "#name-of-number") void *name_of_number(uint32_t handle) {
  thing_name(handle, &returned);
  return &returned;
}
EXPORT(USES "#lend-own") uint32_t lend_own(uint32_t thing) {
  uint32_t seen = thing_inspect(thing) + 100 * thing_count();
  thing_drop(thing);
  return seen;
}
EXPORT(USES "#give-away") void *give_away(uint32_t thing) {
  thing_consume(thing, &returned);
  return &returned;
}
EXPORT(USES "#give-away-twice") void *give_away_twice(uint32_t thing) {
  thing_consume(thing, &returned);
  thing_consume(thing, &returned);
  return &returned;
}
EXPORT(USES "#hand-back") uint32_t hand_back(uint32_t thing) { return thing; }
EXPORT(USES "#look-at") void *look_at(uint32_t borrowed) {
  thing_name(borrowed, &returned);
  thing_drop(borrowed);
  return &returned;
}
EXPORT(USES "#keep-borrowed") void keep_borrowed(uint32_t borrowed) { (void)borrowed; }
EXPORT(USES "#give-borrowed-away") void *give_borrowed_away(uint32_t borrowed) {
  thing_consume(borrowed, &returned);
  return &returned;
}
EXPORT(USES "#find-and-drop") uint32_t find_and_drop(const char *name, size_t size) {
  uint32_t found[2];
  thing_find(name, size, found);
  if (found[0] & 0xff) thing_drop(found[1]);
  release_all();
  return found[0] & 0xff;
}
POST(USES "#make-and-drop") post_make_and_drop(void *r) { (void)r; release_all(); }
POST(USES "#name-of-number") post_name_of_number(void *r) { (void)r; release_all(); }
POST(USES "#give-away") post_give_away(void *r) { (void)r; release_all(); }
POST(USES "#give-away-twice") post_give_away_twice(void *r) { (void)r; release_all(); }
POST(USES "#look-at") post_look_at(void *r) { (void)r; release_all(); }
POST(USES "#give-borrowed-away") post_give_borrowed_away(void *r) { (void)r; release_all(); }
