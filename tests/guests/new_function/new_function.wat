;; An actor that needs a function which a known interface, in a known version, does not have.
(module
  (import "wasi:random/random@0.2.0" "get-lucky-number" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "airssys:actor/handler@0.1.0#handle") (param i32 i32 i32 i32 i32 i32) (result i32)
    unreachable))
