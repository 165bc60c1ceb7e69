package sx1302

// The conf types are global_conf.json as it is written, in its units; [ParseGlobalConf]
// converts them. Keys that are not here are listed in [GlobalConf].Unread.
type confFile struct {
	Board   *confBoard `json:"SX130x_conf"`
	Gateway struct {
		GNSS string `json:"gps_tty_path"`
	} `json:"gateway_conf"`
}

type confBoard struct {
	ComType     string   `json:"com_type"`
	ComPath     string   `json:"com_path"`
	Public      bool     `json:"lorawan_public"`
	ClockSource uint8    `json:"clksrc"`
	AntennaGain float64  `json:"antenna_gain"`
	FullDuplex  bool     `json:"full_duplex"`
	Fine        confFine `json:"fine_timestamp"`

	SX1261 confSX1261 `json:"sx1261_conf"`
	Radio0 confRadio  `json:"radio_0"`
	Radio1 confRadio  `json:"radio_1"`
	All    *struct {
		SF *[]uint8 `json:"spreading_factor_enable"`
	} `json:"chan_multiSF_All"`
	Chan0   confChannel `json:"chan_multiSF_0"`
	Chan1   confChannel `json:"chan_multiSF_1"`
	Chan2   confChannel `json:"chan_multiSF_2"`
	Chan3   confChannel `json:"chan_multiSF_3"`
	Chan4   confChannel `json:"chan_multiSF_4"`
	Chan5   confChannel `json:"chan_multiSF_5"`
	Chan6   confChannel `json:"chan_multiSF_6"`
	Chan7   confChannel `json:"chan_multiSF_7"`
	Service confService `json:"chan_Lora_std"`
	FSK     confFSK     `json:"chan_FSK"`
}

type confFine struct {
	Enable bool   `json:"enable"`
	Mode   string `json:"mode"`
}

type confChannel struct {
	Enable bool    `json:"enable"`
	Radio  uint8   `json:"radio"`
	IF     float64 `json:"if"`
}

type confService struct {
	confChannel
	Bandwidth      float64 `json:"bandwidth"`
	SF             uint8   `json:"spread_factor"`
	ImplicitHeader bool    `json:"implicit_hdr"`
	ImplicitLength uint8   `json:"implicit_payload_length"`
	ImplicitCRC    bool    `json:"implicit_crc_en"`
	ImplicitCoding uint8   `json:"implicit_coderate"`
}

type confFSK struct {
	confChannel
	Bandwidth float64 `json:"bandwidth"`
	Deviation float64 `json:"freq_deviation"`
	BitRate   uint32  `json:"datarate"`
}

type confRadio struct {
	Enable      bool    `json:"enable"`
	Type        string  `json:"type"`
	SingleInput bool    `json:"single_input_mode"`
	Frequency   float64 `json:"freq"`
	RSSIOffset  float64 `json:"rssi_offset"`
	TempComp    struct {
		A float64 `json:"coeff_a"`
		B float64 `json:"coeff_b"`
		C float64 `json:"coeff_c"`
		D float64 `json:"coeff_d"`
		E float64 `json:"coeff_e"`
	} `json:"rssi_tcomp"`
	TxEnable bool       `json:"tx_enable"`
	TxMin    float64    `json:"tx_freq_min"`
	TxMax    float64    `json:"tx_freq_max"`
	Gains    []confGain `json:"tx_gain_lut"`
}

type confGain struct {
	Power      float64 `json:"rf_power"`
	PA         uint8   `json:"pa_gain"`
	PowerIndex *uint8  `json:"pwr_idx"`
	Digital    uint8   `json:"dig_gain"`
	DAC        *uint8  `json:"dac_gain"`
	Mixer      *uint8  `json:"mix_gain"`
}

type confSX1261 struct {
	Path       string  `json:"spi_path"`
	RSSIOffset float64 `json:"rssi_offset"`
	Scan       struct {
		Enable   bool    `json:"enable"`
		First    float64 `json:"freq_start"`
		Channels uint8   `json:"nb_chan"`
		Scans    uint16  `json:"nb_scan"`
		Pace     uint8   `json:"pace_s"`
	} `json:"spectral_scan"`
	LBT struct {
		Enable    bool    `json:"enable"`
		Threshold float64 `json:"rssi_target"`
		Channels  []struct {
			Frequency float64 `json:"freq_hz"`
			Bandwidth float64 `json:"bandwidth"`
			ScanUS    float64 `json:"scan_time_us"`
			TxMS      float64 `json:"transmit_time_ms"`
		} `json:"channels"`
	} `json:"lbt"`
}
