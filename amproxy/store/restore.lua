-- Give back timers that are missing, of work that is still as it was read.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: list of {timer, due ms, guard as a Redis command, its expected answer as text}
-- Returns  the timers that were missing, and are set now
local timers, missing, restored = KEYS[1] .. 'timers', {}, {}
-- All in one script: what reads first and writes then would take a timer for lost that another
-- process is about to set, or that went with its incident.
for _, lost in ipairs(cmsgpack.unpack(ARGV[1])) do
  if not redis.call('ZSCORE', timers, lost[1])
    and tostring(redis.call(unpack(lost[3]))) == lost[4] then
    missing[#missing + 1] = lost
  end
end
-- Only now, because a refused look is no reason to set some of them and to tell of none.
for i, lost in ipairs(missing) do
  redis.call('ZADD', timers, lost[2], lost[1])
  restored[i] = lost[1]
end
return restored
