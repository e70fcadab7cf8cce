;; A module whose start function already calls the host.
(module
  (import "test:starts/host@1.0.0" "started" (func $started (param i32) (result i32)))
  (global $answer (mut i32) (i32.const 0))
  (func $start (global.set $answer (call $started (i32.const 7))))
  (start $start)
  (memory (export "memory") 1)
  (func (export "answer") (result i32) (global.get $answer)))
