;; A later component calls what an earlier one exports, and what the host offers.

(component $counter
  (core module $m
    (global $count (mut i32) (i32.const 0))
    (func (export "add") (param i32) (result i32)
      (global.set $count (i32.add (global.get $count) (local.get 0)))
      (global.get $count))
    (func (export "fail") unreachable))
  (core instance $i (instantiate $m))
  (func (export "add") (param "n" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "fail") (canon lift (core func $i "fail")))
)
(component definition $User
  (import "counter" (instance $counter
    (export "add" (func (param "n" u32) (result u32)))
    (export "fail" (func))))
  (import "host-return-two" (func $two (result u32)))
  (import "host" (instance $host (export "return-three" (func (result u32)))))
  (core func $add (canon lower (func $counter "add")))
  (core func $fail (canon lower (func $counter "fail")))
  (core func $two' (canon lower (func $two)))
  (core func $three (canon lower (func $host "return-three")))
  (core module $m
    (import "" "add" (func $add (param i32) (result i32)))
    (import "" "fail" (func $fail))
    (import "" "two" (func $two (result i32)))
    (import "" "three" (func $three (result i32)))
    (func (export "twice") (param i32) (result i32)
      (drop (call $add (local.get 0)))
      (call $add (local.get 0)))
    (func (export "five") (result i32) (i32.add (call $two) (call $three)))
    (func (export "fail") (call $fail)))
  (core instance $i (instantiate $m (with "" (instance
    (export "add" (func $add)) (export "fail" (func $fail))
    (export "two" (func $two')) (export "three" (func $three))))))
  (func (export "twice") (param "n" u32) (result u32) (canon lift (core func $i "twice")))
  (func (export "five") (result u32) (canon lift (core func $i "five")))
  (func (export "fail") (canon lift (core func $i "fail")))
)
(component instance $one $User)
(component instance $other $User)
(assert_return (invoke $one "twice" (u32.const 5)) (u32.const 10))
(assert_return (invoke "twice" (u32.const 1)) (u32.const 12))
(assert_return (invoke $counter "add" (u32.const 0)) (u32.const 12))
(assert_return (invoke $other "five") (u32.const 5))
(register "elsewhere" $counter)
(component
  (import "elsewhere" (instance $counter (export "add" (func (param "n" u32) (result u32)))))
  (core func $add (canon lower (func $counter "add")))
  (core module $m
    (import "" "add" (func $add (param i32) (result i32)))
    (func (export "add") (param i32) (result i32) (call $add (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance (export "add" (func $add))))))
  (func (export "add") (param "n" u32) (result u32) (canon lift (core func $i "add"))))
(assert_return (invoke "add" (u32.const 30)) (u32.const 42))
;; Its own failure is the failure of whoever called it.
(assert_trap (invoke $one "fail") "unreachable")
(assert_trap (invoke $counter "add" (u32.const 1)) "cannot enter component instance")
(assert_trap (invoke $other "twice" (u32.const 1)) "cannot enter component instance")

;; The host's own resources: it is told of each that a guest drops.
(component
  (import "host" (instance $host
    (export "resource1" (type $thing (sub resource)))
    (export "[constructor]resource1" (func (param "rep" u32) (result (own $thing))))
    (export "[method]resource1.simple" (func (param "self" (borrow $thing)) (param "rep" u32)))
    (export "[static]resource1.assert" (func (param "thing" (own $thing)) (param "rep" u32)))
    (export "[static]resource1.drops" (func (result u32)))
    (export "[static]resource1.last-drop" (func (result u32)))))
  (alias export $host "resource1" (type $thing))
  (core func $new (canon lower (func $host "[constructor]resource1")))
  (core func $simple (canon lower (func $host "[method]resource1.simple")))
  (core func $assert (canon lower (func $host "[static]resource1.assert")))
  (core func $drops (canon lower (func $host "[static]resource1.drops")))
  (core func $last (canon lower (func $host "[static]resource1.last-drop")))
  (canon resource.drop $thing (core func $drop))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "simple" (func $simple (param i32 i32)))
    (import "" "assert" (func $assert (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "drops" (func $drops (result i32)))
    (import "" "last" (func $last (result i32)))
    (func (export "run") (result i32)
      (local $one i32) (local $other i32)
      (local.set $one (call $new (i32.const 100)))
      (local.set $other (call $new (i32.const 200)))
      (call $simple (local.get $one) (i32.const 100))
      (call $simple (local.get $other) (i32.const 200))
      (if (call $drops) (then unreachable))
      (call $drop (local.get $other))
      (if (i32.ne (call $drops) (i32.const 1)) (then unreachable))
      (call $assert (local.get $one) (i32.const 100))
      (if (i32.ne (call $drops) (i32.const 1)) (then unreachable))
      (call $last))
    (func (export "wrong") (call $simple (call $new (i32.const 1)) (i32.const 2))))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "simple" (func $simple)) (export "assert" (func $assert))
    (export "drop" (func $drop)) (export "drops" (func $drops)) (export "last" (func $last))))))
  (func (export "run") (result u32) (canon lift (core func $i "run")))
  (func (export "wrong") (canon lift (core func $i "wrong")))
)
(assert_return (invoke "run") (u32.const 200))
(assert_trap (invoke "wrong") "a host function failed")

;; A resource of one instance is not that of another one, of the same component too; its handles go back where they
;; came from.
(component definition $Makes
  (type $thing' (resource (rep i32)))
  (export $thing "thing" (type $thing'))
  (canon resource.new $thing' (core func $new))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "look") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "make") (param "rep" u32) (result (own $thing)) (canon lift (core func $i "make")))
  (func (export "look") (param "it" (borrow $thing)) (result u32) (canon lift (core func $i "look")))
)
(component instance $a $Makes)
(component instance $b $Makes)
(component
  (import "a" (instance $a
    (export "thing" (type $thing (sub resource)))
    (export "make" (func (param "rep" u32) (result (own $thing))))
    (export "look" (func (param "it" (borrow $thing)) (result u32)))))
  (core func $make (canon lower (func $a "make")))
  (core func $look (canon lower (func $a "look")))
  (core module $m
    (import "" "make" (func $make (param i32) (result i32)))
    (import "" "look" (func $look (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $look (call $make (local.get 0)))))
  (core instance $i (instantiate $m (with "" (instance (export "make" (func $make)) (export "look" (func $look))))))
  (func (export "run") (param "rep" u32) (result u32) (canon lift (core func $i "run"))))
(assert_return (invoke "run" (u32.const 77)) (u32.const 77))
(assert_unlinkable
  (component
    (import "a" (instance $a (export "thing" (type (sub resource)))))
    (alias export $a "thing" (type $thing))
    (import "b" (instance (export "thing" (type (eq $thing))))))
  "mismatched resource types")
(assert_unlinkable
  (component
    (import "a" (instance $a (export "thing" (type $thing (sub resource)))))
    (alias export $a "thing" (type $thing))
    (import "b" (instance (export "look" (func (param "it" (borrow $thing)) (result u32))))))
  "mismatched resource types")
(assert_unlinkable
  (component (import "a" (instance (export "make" (func (param "rep" u32) (result u32))))))
  "type mismatch with results")

;; An instance inside an instance: of an earlier component, and of the host.
(component $holds
  (core module $m (func (export "five") (result i32) (i32.const 5)))
  (core instance $i (instantiate $m))
  (func $five (result u32) (canon lift (core func $i "five")))
  (instance $innermost (export "five" (func $five)))
  (instance $inner (export "innermost" (instance $innermost)))
  (export "inner" (instance $inner)))
(component
  (import "holds" (instance $holds (export "inner" (instance (export "innermost" (instance
    (export "five" (func (result u32)))))))))
  (import "host" (instance $host (export "nested" (instance (export "return-four" (func (result u32)))))))
  (core func $five (canon lower (func $holds "inner" "innermost" "five")))
  (core func $four (canon lower (func $host "nested" "return-four")))
  (core module $m
    (import "" "four" (func $four (result i32)))
    (import "" "five" (func $five (result i32)))
    (func (export "nine") (result i32) (i32.add (call $four) (call $five))))
  (core instance $i (instantiate $m (with "" (instance (export "four" (func $four)) (export "five" (func $five))))))
  (func (export "nine") (result u32) (canon lift (core func $i "nine"))))
(assert_return (invoke "nine") (u32.const 9))
(assert_unlinkable
  (component (import "holds" (instance (export "inner" (instance (export "five" (func)))))))
  "was not found")
(component (import "nobody" (instance (export "inner" (instance)))))

;; A core module among the imports: the component is valid, and nobody offers one.
(component definition $wants
  (import "code" (core module $code (export "f" (func))))
  (core instance (instantiate $code)))
(assert_unlinkable (component (import "code" (core module))) "was not found")
(assert_unlinkable (component (import "host-return-two" (instance))) "expected instance found func")
