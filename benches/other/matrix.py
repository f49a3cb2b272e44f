def make(n, f):
    return [[f(i, j) for j in range(n)] for i in range(n)]


def multiply(a, b):
    n = len(a)
    out = []
    for i in range(n):
        left = a[i]
        row = []
        for j in range(n):
            total = 0
            for k in range(n):
                total += left[k] * b[k][j]
            row.append(total)
        out.append(row)
    return out


n = 160
a = make(n, lambda i, j: (i + j) % 10)
b = make(n, lambda i, j: (i * j) % 7)
c = multiply(multiply(a, b), a)
print(sum(c[i][i] for i in range(n)), c[3][5], c[n - 1][0])
