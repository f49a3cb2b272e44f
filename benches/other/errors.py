cleaned = 0


class Trouble(Exception):
    def __init__(self, message, data):
        self.message, self.data = message, data


class Three(Trouble):
    pass


class Five(Trouble):
    pass


def check(n):
    if n % 3 == 0:
        raise Three("three", n)
    if n % 5 == 0:
        raise Five("five", n)
    return n


def guarded(n):
    global cleaned
    try:
        return check(n) + 1
    finally:
        cleaned += 1


total = 0
for n in range(200000):
    try:
        total += guarded(n)
    except Three as e:
        total += e.data * 2
    except Trouble:
        total -= 1
print(total, cleaned)
