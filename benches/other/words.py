syllables = ["ka", "lo", "mi", "ne", "ru", "sa", "ti"]
seed = 7
words = []
for _ in range(100000):
    seed = (seed * 1103515245 + 12345) % 2147483648
    n = seed // 65536
    words.append(syllables[n % 7] + syllables[n // 7 % 5] + ("Ra" if n % 4 == 0 else ""))
text = " ".join(words)
counts = {}
for word in text.split(" "):
    w = word.lower()
    counts[w] = counts.get(w, 0) + 1
top = sorted(counts.items(), key=lambda e: (-e[1], e[0]))[:3]
print(len(counts), str(top).replace("'", '"'))
