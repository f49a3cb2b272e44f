-- Two of the workloads with coroutines: the language has no scheduler.
local W, N = arg[1], tonumber(arg[2])
local reps = tonumber(os.getenv("REPS") or "1")
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local function out(k, v) print(string.format("%s %.3f", k, v)) io.stdout:flush() end
local function rss()
  local f = io.open("/proc/self/statm")
  local s = f:read("*a")
  f:close()
  return tonumber(s:match("%d+ (%d+)")) * 4096
end
for _ = 1, reps do
  if W == "spawn_seq" then
    local t, s = os.clock(), 0
    for i = 1, N do local _, r = resume(create(function() return i end)) s = s + r end
    assert(s == N * (N + 1) / 2)
    out("ns", (os.clock() - t) * 1e9 / N)
  elseif W == "parked_chan" then
    local b, t, keep = rss(), os.clock(), {}
    for i = 1, N do local c = create(function() yield() end) resume(c) keep[i] = c end
    out("create_ms", (os.clock() - t) * 1e3)
    out("bytes_per", (rss() - b) / N)
    out("rss_mb", rss() / 1e6)
  else
    error("unknown workload " .. W)
  end
end
