def factorial(n):
    f = 1
    for i in range(2, n + 1):
        f *= i
    return f


def digit_sum(n):
    return sum(int(c) for c in str(n))


import sys

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)
big = factorial(10_000)
print(digit_sum(big), digit_sum(factorial(2000) // factorial(1990)), big % 1_000_003, digit_sum(3**5000))
