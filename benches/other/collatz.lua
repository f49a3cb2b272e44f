local lengths, count = { [1] = 1 }, 1

local function chain(start)
  local path, n = {}, start
  while not lengths[n] do
    path[#path + 1] = n
    if n % 2 == 0 then n = math.floor(n / 2) else n = 3 * n + 1 end
  end
  local len = lengths[n]
  for i = #path, 1, -1 do
    len = len + 1
    lengths[path[i]] = len
    count = count + 1
  end
  return len
end

local best, longest = 0, 0
for n = 1, 99999 do
  local len = chain(n)
  if len > longest then best, longest = n, len end
end
io.write(best, " ", longest, " ", count, "\n")
