local function gen(f) return coroutine.wrap(f) end

local function numbers()
  return gen(function()
    local n = 0
    while true do coroutine.yield(n); n = n + 1 end
  end)
end

local function filter(xs, keep)
  return function()
    while true do
      local x = xs()
      if x == nil or keep(x) then return x end
    end
  end
end

local function map(xs, f)
  return function()
    local x = xs()
    if x ~= nil then return f(x) end
  end
end

local function running(xs)
  return gen(function()
    local total = 0
    for x in xs do
      total = (total + x) % 1000003
      coroutine.yield(total)
    end
  end)
end

local check, n = 0, 0
local squares = map(filter(numbers(), function(n) return n % 3 ~= 0 end), function(n) return n * n end)
for x in running(squares) do
  check = (check * 7 + x) % 1000003
  n = n + 1
  if n == 300000 then break end
end
print(check)
