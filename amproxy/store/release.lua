-- Turn held pages into messages of the outbox, or do nothing when another process was quicker.
-- KEYS[1]  prefix of the partition
-- ARGV     key of the storm, the first page as it was read ('' = there was none), how many were
--          read, now (ms), longest wait (ms), channel, then the messages
-- Returns  1 done, 0 another process was quicker
local prefix, key, count = KEYS[1], ARGV[1], tonumber(ARGV[3])
local held, timers, timer = prefix .. 'held:' .. key, prefix .. 'timers', 'bundle:' .. key

-- Pages come in at the end and leave at the beginning: where the first is the same, all that was
-- read is still there.
local same = (redis.call('LINDEX', held, 0) or '') == ARGV[2]
check('LTRIM', held, '0', '-1')
check('XADD', prefix .. 'outbox', '*', 'm', '')
check('HINCRBY', prefix .. 'depth', ARGV[6], '0')
check('EXISTS', held)
check('ZREM', timers, timer)
check('PTTL', held)
check('ZADD', timers, '0', timer)
if same and count > 0 then
  redis.call('LTRIM', held, count, -1)
  for i = 7, #ARGV do redis.call('XADD', prefix .. 'outbox', '*', 'm', ARGV[i]) end
  -- held pages count as waiting; from now on the messages do
  redis.call('HINCRBY', prefix .. 'depth', ARGV[6], #ARGV - 6 - count)
end
if redis.call('EXISTS', held) == 0 then
  redis.call('ZREM', timers, timer)
elseif same then
  -- what came in meanwhile waits as long as the storm is remembered
  local rest = math.max(0, redis.call('PTTL', prefix .. 'storm:' .. key))
  redis.call('ZADD', timers, string.format('%d', ARGV[4] + math.min(ARGV[5], rest)), timer)
end
return same and 1 or 0
