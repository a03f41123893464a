-- The same as sieve.repy; Lua has no slices, so the second sieve sets the flags one by one.
local function by_index(limit)
  local flags = {}
  for n = 0, limit do
    flags[n] = true
  end
  flags[0] = false
  flags[1] = false
  local n = 2
  while n * n <= limit do
    if flags[n] then
      local m = n * n
      while m <= limit do
        flags[m] = false
        m = m + n
      end
    end
    n = n + 1
  end
  return flags
end

local function by_slice(limit)
  local flags = {}
  for n = 0, limit do
    flags[n] = 1
  end
  flags[0] = 0
  flags[1] = 0
  for n = 2, math.floor(limit ^ 0.5) do
    if flags[n] ~= 0 then
      for m = n * n, limit, n do
        flags[m] = 0
      end
    end
  end
  local total = 0
  for n = 0, limit do
    total = total + flags[n]
  end
  return total
end

local function run(rounds)
  local total = 0
  for k = 0, rounds - 1 do
    local flags = by_index(300000 + k)
    local primes = {}
    for n = 0, 300000 + k do
      if flags[n] then
        primes[#primes + 1] = n
      end
    end
    total = total + #primes + by_slice(300000 + k)
  end
  return total
end

print(run(9))
