local function shift(text, by)
  local out = {}
  for i = 1, #text do
    local code = text:byte(i)
    if code >= 97 and code <= 122 then
      out[i] = string.char((code - 97 + by) % 26 + 97)
    else
      out[i] = text:sub(i, i)
    end
  end
  return table.concat(out)
end

local line = "the quick brown fox jumps over the lazy dog, twice.\n"
local text = line:rep(40)
for round = 1, 400 do text = shift(text, round % 26) end
local check = 0
for i = 1, #text do check = (check * 31 + text:byte(i)) % 1000003 end
io.write(#text, " ", check, "\n")
