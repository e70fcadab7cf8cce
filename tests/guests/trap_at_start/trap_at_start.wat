;; An actor that never comes to life: its start function traps.
(module
  (func $start unreachable)
  (start $start)
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "airssys:actor/handler@0.1.0#handle") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable))
