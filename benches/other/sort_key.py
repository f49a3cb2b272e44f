from functools import cmp_to_key


class Person:
    def __init__(self, name, age, score):
        self.name, self.age, self.score = name, age, score


seed = 42


def next_random():
    global seed
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed


people = []
for i in range(50000):
    n = next_random()
    people.append(Person(f"n{n % 1000}", n // 1000 % 90, n % 977))
check = 0


def mix(xs):
    global check
    for p in xs:
        check = (check * 31 + p.age * 1000 + p.score) % 1000003


mix(sorted(people, key=lambda p: p.age))
mix(sorted(people, key=lambda p: (p.name, -p.score)))
by_score = people.copy()
by_score.sort(key=cmp_to_key(lambda a, b: b.score - a.score))
mix(by_score)
print(check)
