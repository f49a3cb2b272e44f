local function counter(step)
  local n = 0
  return { function() n = n + step; return n end, function() return n end }
end

local counters = {}
for i = 1, 1000 do counters[i] = counter(i) end
for _ = 1, 3000 do
  for i = 1, #counters do counters[i][1]() end
end
local total = 0
for i = 1, #counters do total = total + counters[i][2]() end
print(total)
