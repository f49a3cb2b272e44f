lengths = {1: 1}


def chain(start):
    path = []
    n = start
    while n not in lengths:
        path.append(n)
        n = n // 2 if n % 2 == 0 else 3 * n + 1
    length = lengths[n]
    for m in reversed(path):
        length += 1
        lengths[m] = length
    return length


best = longest = 0
for n in range(1, 100000):
    length = chain(n)
    if length > longest:
        longest = length
        best = n
print(best, longest, len(lengths))
