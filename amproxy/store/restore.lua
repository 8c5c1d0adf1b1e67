-- Give back timers that are missing, of work that is still as it was read.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: list of {timer, due ms, guard as a Redis command, its expected answer as text}
-- Returns  the timers that were missing, and are set now
local timers, restored = KEYS[1] .. 'timers', {}
for _, lost in ipairs(cmsgpack.unpack(ARGV[1])) do
  -- All in one script: what reads first and writes then would take a timer for lost that another
  -- process is about to set, or that went with its incident.
  if not redis.call('ZSCORE', timers, lost[1])
    and tostring(redis.call(unpack(lost[3]))) == lost[4] then
    redis.call('ZADD', timers, lost[2], lost[1])
    restored[#restored + 1] = lost[1]
  end
end
return restored
