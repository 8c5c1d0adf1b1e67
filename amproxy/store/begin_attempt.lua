-- Count an attempt to sign in by all of its counters, or by none where one of them demands a wait.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: list of {counter, tries, waits (ms)}; the first wait is that after `tries`
--          attempts, the last one that after all further ones
-- ARGV     then how long attempts are remembered without a wait, and beyond a wait (ms)
-- Returns  0 it may be made, else the milliseconds to wait, and nothing is counted
local prefix, counters = KEYS[1], cmsgpack.unpack(ARGV[1])

for _, counter in ipairs(counters) do
  local attempts, blocked = prefix .. 'attempts:' .. counter[1], prefix .. 'blocked:' .. counter[1]
  local left = redis.call('PTTL', blocked)
  if left > 0 then return left end
  check('INCR', attempts)
  check('PEXPIRE', attempts, '1')
  check('SET', blocked, '1')
end
for _, counter in ipairs(counters) do
  local name, tries, waits = counter[1], counter[2], counter[3]
  local wrong = redis.call('INCR', prefix .. 'attempts:' .. name)
  local wait = wrong >= tries and waits[math.min(wrong - tries + 1, #waits)] or 0
  -- the count outlives the wait, so that the next wait is longer
  local memory = wait > 0 and wait + ARGV[3] or ARGV[2]
  redis.call('PEXPIRE', prefix .. 'attempts:' .. name, memory)
  -- the attempt that sets the block may still be made; those after it wait
  if wait > 0 then redis.call('SET', prefix .. 'blocked:' .. name, '1', 'PX', wait) end
end
return 0
