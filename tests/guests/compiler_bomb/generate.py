"""Print a small module that keeps an optimising compiler busy for hours.

One function jumps from a table to the ends of 3,000 nested blocks; after each end another local variable is set, and
all of them are read at the last. Seen from each end a variable has either its old or its new value, so that a compiler
that works on single assignments makes one value for each pair of an end and a variable, and its register allocation
grows with a higher power of that: 0.2 s for 200 blocks, 2 s for 500, 52 s and 0.9 GB for 1,000 were measured.
"""

BLOCKS = 3000


def main() -> None:
    print('(module (memory (export "memory") 1)')
    print('(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)')
    print('(func (export "airssys:actor/handler@0.1.0#handle") (param i32 i32 i32 i32 i32 i32) (result i32)')
    print("(local", "i32 " * BLOCKS, ")")
    print("block " * BLOCKS)
    print("(br_table", " ".join(map(str, range(BLOCKS))), "(local.get 0))")
    for block in range(BLOCKS):
        value = "local.get 0" if block % 2 else f"i32.const {block}"
        print(f"end {value} local.set {6 + block}")
    print("local.get 0")
    for block in range(BLOCKS):
        print(f"local.get {6 + block} i32.add")
    print("))")


if __name__ == "__main__":
    main()
