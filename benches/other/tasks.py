import asyncio

total = 0


async def work(n):
    global total
    for turn in range(300):
        total += n * turn % 7
        await asyncio.sleep(0)
    return n


async def main():
    tasks = [asyncio.create_task(work(n)) for n in range(1000)]
    print(sum([await t for t in tasks]), total)


asyncio.run(main())
