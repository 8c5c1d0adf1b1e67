-- Put messages back of which no consumer knows, though they were read: nobody works on them.
-- KEYS[1]  prefix of the partition
-- ARGV     consumer group, first id to look at, how many at most
-- Returns  {how many were put back, id after which to look next, '' = all were looked at}
local outbox, found, last = KEYS[1] .. 'outbox', 0, ''
local read = '0-0'
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', outbox)) do
  local name, delivered
  for i = 1, #fields, 2 do
    if fields[i] == 'name' then name = fields[i + 1] end
    if fields[i] == 'last-delivered-id' then delivered = fields[i + 1] end
  end
  if name == ARGV[1] then read = delivered end
end
local entries = redis.call('XRANGE', outbox, ARGV[2], read, 'COUNT', ARGV[3])
check('XPENDING', outbox, ARGV[1])
check('XADD', outbox, '*', 'm', '')
check('XDEL', outbox, '0-0')
for _, entry in ipairs(entries) do
  last = entry[1]
  if #redis.call('XPENDING', outbox, ARGV[1], last, last, 1) == 0 then
    redis.call('XADD', outbox, '*', unpack(entry[2]))
    redis.call('XDEL', outbox, last)
    found = found + 1
  end
end
return {found, #entries < tonumber(ARGV[3]) and '' or last}
