package network

import (
	"heliograph/radio"
	"heliograph/testbench/ether"
)

// site is a roof with an antenna.
type site struct {
	name   string
	place  ether.Place
	height int16         // metres above ground
	gain   radio.CentiDB // antenna gain less cable loss, dBi
}

// vienna is where the hotspots stand: buildings of Vienna, between half a
// kilometre and eighteen kilometres apart. Antennas are those that people buy:
// stubs on balconies, collinears on roofs.
var vienna = []site{
	{"Stephansdom", ether.Place{Lat: 48.2085, Lon: 16.3731}, 70, radio.DB(3)},
	{"Rathaus", ether.Place{Lat: 48.2108, Lon: 16.3573}, 60, radio.DB(6)},
	{"Heldenplatz", ether.Place{Lat: 48.2066, Lon: 16.3634}, 24, 120},
	{"Karlskirche", ether.Place{Lat: 48.1983, Lon: 16.3719}, 40, radio.DB(3)},
	{"Belvedere", ether.Place{Lat: 48.1915, Lon: 16.3809}, 22, 260},
	{"Hauptbahnhof", ether.Place{Lat: 48.1853, Lon: 16.3764}, 35, 580},
	{"Westbahnhof", ether.Place{Lat: 48.1967, Lon: 16.3376}, 28, 260},
	{"Gloriette", ether.Place{Lat: 48.1782, Lon: 16.3087}, 20, 580},
	{"Votivkirche", ether.Place{Lat: 48.2154, Lon: 16.3587}, 45, 120},
	{"Allgemeines Krankenhaus", ether.Place{Lat: 48.2206, Lon: 16.3469}, 80, radio.DB(4)},
	{"Franz-Josefs-Bahnhof", ether.Place{Lat: 48.2258, Lon: 16.3615}, 26, 260},
	{"Millennium Tower", ether.Place{Lat: 48.2403, Lon: 16.3866}, 170, radio.DB(6)},
	{"Donauturm", ether.Place{Lat: 48.2404, Lon: 16.4100}, 150, radio.DB(3)},
	{"Vienna International Centre", ether.Place{Lat: 48.2349, Lon: 16.4170}, 110, 260},
	{"Kagran", ether.Place{Lat: 48.2433, Lon: 16.4339}, 32, 120},
	{"Riesenrad", ether.Place{Lat: 48.2166, Lon: 16.3959}, 60, radio.DB(3)},
	{"Ernst-Happel-Stadion", ether.Place{Lat: 48.2072, Lon: 16.4205}, 30, 580},
	{"Gasometer", ether.Place{Lat: 48.1853, Lon: 16.4200}, 65, radio.DB(4)},
	{"Wienerberg", ether.Place{Lat: 48.1684, Lon: 16.3456}, 120, radio.DB(6)},
	{"Kahlenberg", ether.Place{Lat: 48.2766, Lon: 16.3379}, 25, radio.DB(8)},
	{"Wilhelminenberg", ether.Place{Lat: 48.2198, Lon: 16.2858}, 18, 580},
	{"Meidling", ether.Place{Lat: 48.1749, Lon: 16.3335}, 20, 120},
	{"Floridsdorf", ether.Place{Lat: 48.2566, Lon: 16.4003}, 28, radio.DB(3)},
	{"Aspern", ether.Place{Lat: 48.2252, Lon: 16.5034}, 84, radio.DB(6)},
}

// streets is where the devices are, near the ground.
var streets = []site{
	{"Naschmarkt, bin sensor", ether.Place{Lat: 48.1985, Lon: 16.3639}, 2, radio.DB(-2)},
	{"Augarten, soil sensor", ether.Place{Lat: 48.2256, Lon: 16.3762}, 1, radio.DB(-3)},
	{"Donauinsel, water level", ether.Place{Lat: 48.2297, Lon: 16.4036}, 2, radio.DB(0)},
	{"Mariahilf, parking sensor", ether.Place{Lat: 48.1975, Lon: 16.3500}, 0, radio.DB(-4)},
	{"Simmering, heat meter", ether.Place{Lat: 48.1810, Lon: 16.4140}, 3, radio.DB(-2)},
	{"Heiligenstadt, air quality", ether.Place{Lat: 48.2480, Lon: 16.3655}, 4, radio.DB(1)},
}

// exponent of the path loss: between roofs and through a built-up city.
const exponent = 4.0
