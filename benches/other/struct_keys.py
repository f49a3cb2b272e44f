from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    x: int
    y: int

    def __add__(self, o):
        return Point(self.x + o.x, self.y + o.y)


SIZE = 150
STEPS = [Point(1, 0), Point(0, 1), Point(-1, 0), Point(0, -1)]


def is_open(p):
    return p.x >= 0 and p.y >= 0 and p.x < SIZE and p.y < SIZE and (p.x * 7 + p.y * 13) % 11 > 1


start = Point(1, 1)
distance = {start: 0}
edge = [start]
while edge:
    found = []
    for p in edge:
        for step in STEPS:
            q = p + step
            if is_open(q) and q not in distance:
                distance[q] = distance[p] + 1
                found.append(q)
    edge = found
print(len(distance), max(distance.values()))
