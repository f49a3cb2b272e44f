from itertools import islice


def numbers():
    n = 0
    while True:
        yield n
        n += 1


def running(xs):
    total = 0
    for x in xs:
        total = (total + x) % 1000003
        yield total


check = 0
for x in islice(running(map(lambda n: n * n, filter(lambda n: n % 3 != 0, numbers()))), 300000):
    check = (check * 7 + x) % 1000003
print(check)
