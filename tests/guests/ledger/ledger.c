// A component that others are composed with: it implements accounts, as a resource.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define ACCOUNTS "test:bank/accounts@1.0.0"
#define MOST 64
#define POST(name) EXPORT("cabi_post_" name) void

IMPORT("[export]" ACCOUNTS, "[resource-new]account") uint32_t account_new(uint32_t representation);
IMPORT("[export]" ACCOUNTS, "[resource-rep]account") uint32_t account_rep(uint32_t handle);
IMPORT("[export]" ACCOUNTS, "[resource-drop]account") void account_drop(uint32_t handle);

typedef struct {
  const char *data;
  size_t size;
} list_t;

typedef struct {
  list_t what;
  uint64_t cents;
} line_t;

static struct {
  bool open;
  size_t owner_size, lines;
  uint64_t cents;
  char owner[64];
  line_t history[MOST];
} accounts[MOST];
static uint32_t count;
static list_t returned;

static void note(uint32_t slot, const char *what, size_t size, uint64_t cents) {
  if (accounts[slot].lines == MOST) __builtin_trap();
  accounts[slot].history[accounts[slot].lines++] = (line_t){{what, size}, cents};
}

EXPORT(ACCOUNTS "#[constructor]account") uint32_t export_account(const char *owner, size_t size) {
  for (uint32_t slot = 1; slot < MOST; slot++)
    if (!accounts[slot].open) {
      if (size > sizeof accounts[slot].owner) size = sizeof accounts[slot].owner;
      accounts[slot].open = true;
      accounts[slot].owner_size = size;
      accounts[slot].lines = 0;
      accounts[slot].cents = 0;
      memcpy(accounts[slot].owner, owner, size);
      count++;
      release_all();
      return account_new(slot);
    }
  __builtin_trap();
}
EXPORT(ACCOUNTS "#[dtor]account") void destroy_account(uint32_t slot) {
  if (!accounts[slot].open) __builtin_trap();
  accounts[slot].open = false;
  count--;
}
EXPORT(ACCOUNTS "#[method]account.owner") void *export_owner(uint32_t slot) {
  returned = (list_t){accounts[slot].owner, accounts[slot].owner_size};
  return &returned;
}
EXPORT(ACCOUNTS "#[method]account.deposit") uint64_t export_deposit(uint32_t slot, uint64_t cents) {
  note(slot, "deposit", 7, cents);
  return accounts[slot].cents += cents;
}
EXPORT(ACCOUNTS "#[method]account.history") void *export_history(uint32_t slot) {
  returned = (list_t){(const char *)accounts[slot].history, accounts[slot].lines};
  return &returned;
}
EXPORT(ACCOUNTS "#[static]account.count") uint32_t export_count(void) { return count; }
EXPORT(ACCOUNTS "#close") uint64_t export_close(uint32_t handle) {
  uint64_t left = accounts[account_rep(handle)].cents;
  account_drop(handle);
  return left;
}
EXPORT(ACCOUNTS "#spin") void export_spin(void) {
  for (volatile uint32_t turns = 0;; turns++) {
  }
}

static union {
  struct {
    uint64_t is_error, left;
  } ok;
  struct {
    uint64_t is_error;
    list_t reason;
  } error;
} transferred;

EXPORT(ACCOUNTS "#transfer") void *export_transfer(uint32_t giver, uint32_t taker, uint64_t cents) {
  if (accounts[giver].cents < cents) {
    transferred.error.is_error = 1;
    transferred.error.reason = (list_t){"there is not enough", 19};
    return &transferred;
  }
  note(giver, "given", 5, cents);
  note(taker, "taken", 5, cents);
  accounts[giver].cents -= cents;
  accounts[taker].cents += cents;
  transferred.ok.is_error = 0;
  transferred.ok.left = accounts[giver].cents;
  return &transferred;
}
