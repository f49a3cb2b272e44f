local function depth(n)
  if n == 0 then return 0 end
  return 1 + depth(n - 1)
end

local is_odd
local function is_even(n)
  if n == 0 then return true end
  return (is_odd(n - 1))
end
function is_odd(n)
  if n == 0 then return false end
  return (is_even(n - 1))
end

local total = 0
for _ = 1, 20 do total = total + depth(100000) end
print(total .. " " .. tostring(is_even(100000)))
