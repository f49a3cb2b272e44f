local cleaned = 0

local function check(n)
  if n % 3 == 0 then error({ kind = "three", data = n }) end
  if n % 5 == 0 then error({ kind = "five", data = n }) end
  return n
end

local function guarded(n)
  local ok, r = pcall(check, n)
  cleaned = cleaned + 1
  if not ok then error(r) end
  return r + 1
end

local total = 0
for n = 0, 199999 do
  local ok, r = pcall(guarded, n)
  if ok then
    total = total + r
  elseif r.kind == "three" then
    total = total + r.data * 2
  else
    total = total - 1
  end
end
io.write(total, " ", cleaned, "\n")
