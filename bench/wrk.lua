-- Counts the answers by status, and prints one line of JSON at the end. A client that is refused with 503 waits as
-- long as its Retry-After asks.
-- The file named behind the URL, if any, holds a token a line, and each request takes the next one.
local threads, waits = {}, 0
ok, refused, other = 0, 0, 0

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   if args[1] == nil then
      return
   end
   local requests, turn = {}, 0
   for token in io.lines(args[1]) do
      wrk.headers['Authorization'] = 'Bearer ' .. token
      table.insert(requests, wrk.format())
   end
   function request()
      turn = turn % #requests + 1
      return requests[turn]
   end
end

function response(status)
   if status == 200 then
      ok = ok + 1
   elseif status == 503 then
      refused = refused + 1
      waits = waits + 1
   else
      other = other + 1
   end
end

function delay()
   if waits == 0 then
      return 0
   end
   waits = waits - 1
   return 1000
end

function done(summary, latency)
   local counted = {ok = 0, refused = 0, other = 0}
   for _, thread in ipairs(threads) do
      for name, value in pairs(counted) do
         counted[name] = value + thread:get(name)
      end
   end
   local errors = summary.errors
   io.write(string.format(
      '\nJSON {"seconds": %f, "ok": %d, "refused": %d, "other": %d, "unanswered": %d, "p50_ms": %f, "p99_ms": %f}\n',
      summary.duration / 1e6, counted.ok, counted.refused, counted.other,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
