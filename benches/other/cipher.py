def shift(text, by):
    out = []
    for c in text:
        code = ord(c)
        out.append(chr((code - 97 + by) % 26 + 97) if 97 <= code <= 122 else c)
    return "".join(out)


line = "the quick brown fox jumps over the lazy dog, twice.\n"
text = line * 40
for round in range(1, 401):
    text = shift(text, round % 26)
check = 0
for c in text:
    check = (check * 31 + ord(c)) % 1000003
print(len(text), check)
