local total = 0
local function work(id)
  for turn = 0, 299 do
    total = total + id * turn % 7
    coroutine.yield()
  end
  return id
end
local tasks, sum = {}, 0
for id = 0, 999 do tasks[#tasks + 1] = coroutine.create(work) end
local open = 1000
while open > 0 do
  for i, t in ipairs(tasks) do
    if t then
      local _, result = coroutine.resume(t, i - 1)
      if coroutine.status(t) == "dead" then
        sum = sum + result
        tasks[i] = false
        open = open - 1
      end
    end
  end
end
io.write(sum, " ", total, "\n")
