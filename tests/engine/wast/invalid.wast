;; What is no component, what cannot be linked, and what this engine refuses by name.

(assert_invalid (component (export "f" (func 0))) "unknown function 0: function index out of bounds")
(assert_invalid
  (component
    (core module $m (func (export "f") (param i32)))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))
  "lowered parameter types `[]` do not match parameter types `[I32]`")
(assert_invalid
  (component (core module (func (result i32) (i64.const 0))))
  "type mismatch: expected i32, found i64")
(assert_invalid (component (import "A B" (func))) "`A B` is not in kebab case")
(assert_invalid
  (component (import "one" (func)) (import "one" (func)))
  "import name `one` conflicts with previous name `one`")
(assert_invalid (component quote "(import \"a\" (func (param \"p\" $nowhere)))") "unknown type")
(assert_malformed (component quote "(import \"a\" (func") "expected `)`")
(assert_malformed (component binary "\00asm\0d\00") "unexpected end")
(assert_malformed (component binary "\00asm\0f\00\01\00") "unknown binary version")
(assert_malformed (component binary "\00asm\0d\00\01\00\ff\00") "malformed section id: 255")
(assert_malformed (component binary "\00asm\0d\00\01\00\07\05\01") "unexpected end")

(assert_unlinkable (component (import "nowhere" (func))) "was not found in the linker")
(assert_unlinkable
  (component (import "host" (instance (export "not-there" (func)))))
  "was not found in the linker")
(assert_unlinkable (component (import "host-return-two" (func (result string)))) "type mismatch with results")

(component quote "(core module)")
(component binary "\00asm\0d\00\01\00")
