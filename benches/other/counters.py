def counter(step):
    n = 0

    def bump():
        nonlocal n
        n += step
        return n

    return bump, lambda: n


counters = [counter(i) for i in range(1, 1001)]
for round in range(3000):
    for bump, _ in counters:
        bump()
print(sum(read() for _, read in counters))
