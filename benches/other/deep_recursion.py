import sys
import threading

sys.setrecursionlimit(300000)
threading.stack_size(512 * 1024 * 1024)


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def main():
    total = 0
    for _ in range(20):
        total += depth(100000)
    print(total, str(is_even(100000)).lower())


t = threading.Thread(target=main)
t.start()
t.join()
