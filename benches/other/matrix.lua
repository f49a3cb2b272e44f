local function make(n, f)
  local rows = {}
  for i = 0, n - 1 do
    local row = {}
    for j = 0, n - 1 do row[j + 1] = f(i, j) end
    rows[i + 1] = row
  end
  return rows
end

local function multiply(a, b)
  local n, out = #a, {}
  for i = 1, n do
    local left, row = a[i], {}
    for j = 1, n do
      local sum = 0
      for k = 1, n do sum = sum + left[k] * b[k][j] end
      row[j] = sum
    end
    out[i] = row
  end
  return out
end

local n = 160
local a = make(n, function(i, j) return (i + j) % 10 end)
local b = make(n, function(i, j) return (i * j) % 7 end)
local c = multiply(multiply(a, b), a)
local trace = 0
for i = 1, n do trace = trace + c[i][i] end
io.write(trace, " ", c[4][6], " ", c[n][1], "\n")
