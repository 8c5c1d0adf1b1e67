-- Hold the messages to a destination that asked for patience.
-- KEYS[1]  prefix of the partition
-- ARGV     now (ms), wait (ms), first and longest gap between later messages (ms; 0 = none),
--          how long gaps are kept (ms), then the names of its rate limits, narrowest first
local prefix, now, wait = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local narrow, wide = ARGV[6], ARGV[7]

local function hold(name)
  local key = prefix .. 'throttled:' .. name
  -- an earlier answer may have asked for more
  if redis.call('PTTL', key) < wait then redis.call('SET', key, '1', 'PX', wait) end
end

check('PTTL', prefix .. 'throttled:' .. narrow)
check('SET', prefix .. 'throttled:' .. narrow, '1')
check('GET', prefix .. 'pace:' .. narrow)
if wide then
  check('SET', prefix .. 'throttled:' .. wide, '1')
  check('ZREMRANGEBYSCORE', prefix .. 'refusing:' .. wide, '-inf', '0')
  check('ZADD', prefix .. 'refusing:' .. wide, '0', narrow)
  check('PEXPIRE', prefix .. 'refusing:' .. wide, '1')
  check('ZCARD', prefix .. 'refusing:' .. wide)
end

hold(narrow)
if tonumber(ARGV[3]) > 0 then
  local key = prefix .. 'pace:' .. narrow
  local gap = redis.call('GET', key)
  gap = gap and math.min(2 * gap, ARGV[4]) or ARGV[3]
  redis.call('SET', key, string.format('%d', gap), 'PX', ARGV[5])
end
if wide then
  -- Refusals do not say whose limit it was. Where several destinations are refused at a time, it is
  -- the one that they share.
  local refusing = prefix .. 'refusing:' .. wide
  redis.call('ZREMRANGEBYSCORE', refusing, '-inf', now)
  redis.call('ZADD', refusing, now + wait, narrow)
  redis.call('PEXPIRE', refusing, wait)
  if redis.call('ZCARD', refusing) > 1 then hold(wide) end
end
return 1
