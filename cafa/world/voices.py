"""The sound of one event of every category, at full level.

Each function takes the clip's pitch factor (about 1), the sample rate and a generator for the small differences between
events, and gives samples that start at the event's instant with peak 1.
"""

from collections.abc import Callable

import numpy as np

from cafa.world.synth import arch, band, clock, formants, glottis, modes, noise, ramp, scatter, unit

Voice = Callable[[float, int, np.random.Generator], np.ndarray]


def chopping_wood(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Low thump of a stump, a dry crack, splitting fibres."""
    t = clock(0.32, rate)
    body = modes(t, np.array([105, 188, 290, 455]) * pitch, (0.07, 0.055, 0.04, 0.03), (1.0, 0.8, 0.6, 0.35), rng)
    crack = band(noise(len(t), rng), 500, 2600, rate) * ramp(t, 0.001, rng.uniform(0.012, 0.03))
    fibres = band(noise(len(t), rng), 1200, 3600, rate) * (rng.random(len(t)) < 0.02) * np.exp(-t / 0.07)
    return unit(body + 0.7 * crack + 0.5 * fibres)


def dog_barking(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Voice that leaps up and falls, hoarse, with the formants of a short throat."""
    length = rng.uniform(0.15, 0.22)
    t = clock(length, rate)
    bend = np.sin(np.pi * np.minimum(t / length, 1.0) ** 0.6)
    source = glottis(pitch * (330.0 + 240.0 * bend) * (1 + 0.03 * rng.standard_normal()), rate, 2.0)
    hoarse = source * (1.0 + 0.5 * noise(len(t), rng)) + 0.25 * noise(len(t), rng)
    voice = formants(hoarse, ((650, 180, 1.0), (1300, 260, 0.8), (2500, 350, 0.35)), rate)
    return unit(voice * arch(t, length, 0.06, 0.45))


def hammering_nails(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Bright ring of steel over a short knock of the plank."""
    t = clock(0.35, rate)
    ring = modes(
        t,
        np.array([1850, 2790, 4120, 5560, 6900]) * pitch * (1 + 0.01 * rng.standard_normal(5)),
        (0.09, 0.075, 0.05, 0.04, 0.025),
        rng.uniform(0.5, 1.0, 5),
        rng,
    )
    knock = modes(t, (240 * pitch, 410 * pitch), (0.03, 0.022), (1.0, 0.6), rng)
    click = noise(len(t), rng) * ramp(t, 0.0005, 0.003)
    return unit(0.8 * ring + 0.9 * knock + 0.8 * click)


def ice_cracking(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """High frequencies arrive first, as in a plate: a falling chirp, then splinters."""
    t = clock(0.4, rate)
    sweep = pitch * (350.0 + 5200.0 * np.exp(-t / rng.uniform(0.022, 0.04)))
    chirp = np.sin(2 * np.pi * np.cumsum(sweep) / rate) * ramp(t, 0.001, 0.07)
    second = np.roll(chirp, round(rng.uniform(0.03, 0.08) * rate)) * 0.5
    second[: round(0.03 * rate)] = 0.0
    grain = modes(clock(0.012, rate), (3300 * pitch, 5100 * pitch), (0.002, 0.003), (1.0, 0.8), rng)
    starts = np.minimum(rng.exponential(0.08, 14), 0.38)
    splinters = scatter(t, starts, grain, rng.uniform(0.1, 0.55, 14), rate)
    return unit(chirp + second + splinters + 0.4 * noise(len(t), rng) * ramp(t, 0.0005, 0.004))


def lions_roaring(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Deep rough voice: slow pulses, amplitude modulation, breath."""
    length = rng.uniform(0.42, 0.6)
    t = clock(length, rate)
    bend = 1.0 + 0.35 * np.sin(np.pi * np.minimum(1.2 * t / length, 1.0))
    source = glottis(pitch * 78.0 * bend, rate, 6.0) + 0.35 * noise(len(t), rng)
    rough = 1.0 + 0.6 * np.sin(2 * np.pi * rng.uniform(24, 34) * t + rng.uniform(0, 6))
    voice = formants(source * rough, ((230, 110, 1.2), (520, 140, 1.0), (980, 200, 0.4)), rate)
    return unit(voice * arch(t, length, 0.12, 0.5))


def people_eating_apple(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Wet crunch: a few dense bursts in the middle of the spectrum over a soft thud."""
    t = clock(0.3, rate)
    count = int(rng.integers(3, 6))
    starts = np.concatenate([[0.0], np.sort(rng.uniform(0.025, 0.17, count))])
    piece = clock(0.06, rate)
    grain = band(noise(len(piece), rng), 650 * pitch, 2300 * pitch, rate) * ramp(piece, 0.002, 0.016)
    crunch = scatter(t, starts, unit(grain), np.concatenate([[1.0], rng.uniform(0.35, 0.9, count)]), rate)
    squelch = band(noise(len(t), rng), 900 * pitch, 1500 * pitch, rate) * arch(t, 0.24, 0.2, 0.6)
    thud = modes(t, (170 * pitch,), (0.03,), (0.35,), rng)
    return unit(crunch + 0.22 * squelch + thud)


def people_eating_crisps(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Dry crackle: many very short grains, bright."""
    t = clock(0.3, rate)
    count = int(rng.integers(14, 26))
    starts = np.concatenate([[0.0], np.minimum(rng.exponential(0.07, count), 0.28)])
    piece = clock(0.012, rate)
    out = np.zeros_like(t)
    for share in np.array_split(np.arange(count + 1), 3):
        grain = band(noise(len(piece), rng), 3000 * pitch, min(7600.0, 6800 * pitch), rate) * ramp(piece, 0.0004, 0.003)
        gains = np.where(share == 0, 1.0, rng.uniform(0.2, 0.9, len(share)))
        out += scatter(t, starts[share], unit(grain), gains, rate)
    return unit(out + 0.1 * band(noise(len(t), rng), 2000, 7000, rate) * ramp(t, 0.002, 0.06))


def people_sneezing(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Hiss that bursts out and fades, with a voice that falls below it."""
    length = rng.uniform(0.3, 0.4)
    t = clock(length, rate)
    hiss = band(noise(len(t), rng), 1900 * pitch, 5200 * pitch, rate) * ramp(t, 0.008, 0.07)
    source = glottis(pitch * (210.0 + 190.0 * np.exp(-t / 0.08)), rate, 2.5)
    voice = formants(source, ((420, 140, 1.0), (1750, 260, 0.5)), rate) * arch(t, length, 0.08, 0.7)
    return unit(0.8 * unit(hiss) + 0.6 * unit(voice))


def playing_badminton(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Light tick of strings on cork, almost without body, and a breath of air."""
    t = clock(0.16, rate)
    strings = modes(t, np.array([1180, 2050, 3300]) * pitch, (0.018, 0.012, 0.007), (1.0, 0.6, 0.4), rng)
    tick = band(noise(len(t), rng), 1500, 5000, rate) * ramp(t, 0.0005, 0.004)
    air = band(noise(len(t), rng), 700, 1700, rate) * arch(t, 0.15, 0.3, 0.6)
    return unit(strings + 0.5 * tick + 0.10 * air)


def playing_tennis(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Hollow pop of the ball (frequency modulation that dies quickly) and the ring of the strings."""
    t = clock(0.28, rate)
    index = 3.0 * np.exp(-t / 0.018)
    base = 2 * np.pi * 395 * pitch * t
    pop = np.sin(base + index * np.sin(1.41 * base)) * ramp(t, 0.001, 0.045)
    strings = modes(t, (585 * pitch, 820 * pitch), (0.07, 0.05), (0.35, 0.2), rng)
    felt = band(noise(len(t), rng), 300, 1500, rate) * ramp(t, 0.001, 0.01)
    return unit(pop + strings + 0.5 * felt)


def skateboarding(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Two clacks, one per pair of wheels, then the rumble of rolling."""
    t = clock(0.45, rate)
    piece = clock(0.12, rate)
    clack = modes(
        piece, np.array([310, 640, 1020, 1530]) * pitch, (0.02, 0.018, 0.014, 0.01), (0.8, 1.0, 0.7, 0.5), rng
    )
    clack += 0.8 * band(noise(len(piece), rng), 400, 3200, rate) * ramp(piece, 0.0005, 0.008)
    pair = scatter(t, np.array([0.0, rng.uniform(0.022, 0.05)]), unit(clack), np.array([1.0, 0.8]), rate)
    wheels = 1.0 + 0.7 * np.sin(2 * np.pi * rng.uniform(38, 60) * t)
    roll = band(noise(len(t), rng), 250 * pitch, 900 * pitch, rate) * wheels * arch(t, 0.44, 0.25, 0.6)
    return unit(pair + 0.16 * roll)


def striking_bowling(pitch: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A blow, and hollow maple pins that knock against one another."""
    t = clock(0.5, rate)
    count = int(rng.integers(6, 11))
    starts = np.concatenate([[0.0], np.minimum(rng.exponential(0.09, count), 0.42)])
    piece = clock(0.1, rate)
    out = np.zeros_like(t)
    gains = np.concatenate([[1.0], rng.uniform(0.25, 0.8, count)])
    for share in np.array_split(rng.permutation(count + 1), 3):
        scale = pitch * rng.uniform(0.85, 1.2)
        pin = modes(piece, (880 * scale, 1420 * scale, 2250 * scale), (0.018, 0.013, 0.008), (1.0, 0.7, 0.4), rng)
        out += scatter(t, starts[share], pin, gains[share], rate)
    rumble = band(noise(len(t), rng), 60, 240, rate) * ramp(t, 0.004, 0.15)
    return unit(out + 1.4 * rumble)


#: Category to the sound of one of its events.
VOICES: dict[str, Voice] = {
    "chopping wood": chopping_wood,
    "dog barking": dog_barking,
    "hammering nails": hammering_nails,
    "ice cracking": ice_cracking,
    "lions roaring": lions_roaring,
    "people eating apple": people_eating_apple,
    "people eating crisps": people_eating_crisps,
    "people sneezing": people_sneezing,
    "playing badminton": playing_badminton,
    "playing tennis": playing_tennis,
    "skateboarding": skateboarding,
    "striking bowling": striking_bowling,
}
