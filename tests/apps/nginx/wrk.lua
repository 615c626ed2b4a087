-- Every request with a truth id and a traceparent of its own.
local n = 0

function init()
   math.randomseed(os.time())
end

-- Milliseconds that a connection waits before each request: a shared machine can't be relied on to
-- take in everything that wrk can send.
function delay()
   return tonumber(os.getenv("WRK_DELAY_MS") or "0")
end

function request()
   n = n + 1
   local trace = string.format("%08x%08x%08x%08x", n, math.random(1, 2 ^ 31), math.random(0, 2 ^ 31), n)
   local parent = string.format("%08x%08x", math.random(1, 2 ^ 31), n)
   local headers = { traceparent = "00-" .. trace .. "-" .. parent .. "-01" }
   return wrk.format("GET", "/work?id=w" .. n, headers)
end
