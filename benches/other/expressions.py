from dataclasses import dataclass


@dataclass
class Num:
    n: int


@dataclass
class Var:
    pass


@dataclass
class Add:
    a: object
    b: object


@dataclass
class Mul:
    a: object
    b: object


@dataclass
class Neg:
    a: object


def build(depth, seed):
    if depth == 0:
        return Var() if seed % 4 == 0 else Num(seed % 10 + 1)
    a = build(depth - 1, seed * 3 + 1)
    b = build(depth - 1, seed * 5 + 2)
    if seed // 3 % 4 == 0:
        return Mul(a, b)
    if seed // 3 % 4 == 1:
        return Neg(Add(a, b))
    return Add(a, b)


def value(e, x):
    match e:
        case Num(n):
            return n
        case Var():
            return x
        case Add(a, b):
            return (value(a, x) + value(b, x)) % 10007
        case Mul(a, b):
            return value(a, x) * value(b, x) % 10007
        case Neg(a):
            return -value(a, x)


def simplify(e):
    match e:
        case Add(a, b):
            match (simplify(a), simplify(b)):
                case (Num(m), Num(n)):
                    return Num(m + n)
                case (p, q):
                    return Add(p, q)
        case Mul(a, b):
            match (simplify(a), simplify(b)):
                case (Num(0), _):
                    return Num(0)
                case (_, Num(0)):
                    return Num(0)
                case (p, q):
                    return Mul(p, q)
        case Neg(a):
            return Neg(simplify(a))
        case _:
            return e


tree = build(14, 7)
total = 0
for x in range(20):
    total = (total + value(tree, x)) % 1000003
small = simplify(tree)
for x in range(20):
    total = (total + value(small, x)) % 1000003
print(total)
