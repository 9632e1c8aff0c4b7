//! How the report looks: a phone, a desk, paper; light and dark.

pub(super) const CSS: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#55606f;--line:#e1e6ec;--back:#fff;--card:#f5f7fa;--blue:#1f4e9e;--good:#14743c;--bad:#b5421a;--grey:#8a95a3;--accent:#b07b12}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#a3adba;--line:#2c3542;--back:#12171e;--card:#1a212b;--blue:#7fb0ff;--good:#5fc98a;--bad:#ff8f66;--grey:#7d8896;--accent:#e0b04a}}\
*{box-sizing:border-box}body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:var(--ink);background:var(--back);max-width:1120px;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
h1{font-size:1.5rem;margin:.3rem 0 .2rem;line-height:1.25}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-top:2px solid var(--line);padding-top:.9rem}h3{font-size:1rem;margin:1.2rem 0 .2rem}\
p{margin:.3rem 0 .6rem}.soft,figcaption,caption{color:var(--soft);font-size:.87rem}a{color:var(--blue)}\
nav{margin:.6rem 0}nav a{display:inline-block;margin:0 .35rem .35rem 0;padding:.1rem .6rem;border-radius:.8rem;text-decoration:none;background:var(--card)}\
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(112px,1fr));gap:.6rem;margin:.8rem 0}.cards div{background:var(--card);border-radius:.5rem;padding:.5rem .6rem}.cards b{display:block;font-size:1rem;white-space:nowrap;font-variant-numeric:tabular-nums}.cards span{color:var(--soft);font-size:.82rem}\
.good{color:var(--good)}.bad{color:var(--bad)}\
.scroll{overflow-x:auto;margin:.4rem 0}table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums;min-width:50%}th,td{padding:.25rem .8rem .25rem 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}th{font-weight:600}thead th{color:var(--soft);font-weight:500}th:first-child,td.text,thead th.text{text-align:left}td.text{white-space:normal;min-width:9rem}caption{text-align:left}\
table.months td{padding:.25rem .45rem;text-align:right}table.facts th{font-weight:500;color:var(--soft);vertical-align:top}table.facts td{text-align:left;white-space:normal;min-width:12rem;overflow-wrap:anywhere}\
figure{margin:.9rem 0}figcaption{margin-bottom:.3rem}.key{display:inline-block;margin-right:.9rem;white-space:nowrap}.key i{display:inline-block;width:.9rem;height:.28rem;border-radius:.14rem;margin-right:.35rem;vertical-align:middle}\
.plot{position:relative;margin:0 .2rem 2rem 3.6rem}.plot svg{display:block;width:100%;height:100%;overflow:visible}.plot path{fill:none;stroke-width:1.5;vector-effect:non-scaling-stroke}.plot path.area{stroke:none}.plot path.dot{stroke-width:5;stroke-linecap:round}.plot path.grid{stroke:var(--line);stroke-width:1}\
.plot span{position:absolute;font-size:11px;line-height:1;color:var(--soft);white-space:nowrap}.plot .y{right:100%;margin-right:.4rem;transform:translateY(-50%)}.plot .x{top:100%;margin-top:.35rem;transform:translateX(-50%)}.plot .x.last{transform:translateX(-100%)}.plot .x.first{transform:none}\
.h280{height:280px}.h220{height:220px}.h130{height:130px}.h18{height:14px;margin-top:-1.6rem}\
.bar{display:flex;align-items:center;gap:.5rem;height:1.1rem;min-width:150px}.bar i{display:block;height:.7rem;border-radius:.15rem}\
.warn{border-left:4px solid var(--accent);background:var(--card);padding:.5rem .8rem;border-radius:.2rem;margin:.6rem 0}ul{padding-left:1.2rem;margin:.3rem 0}li{margin:.2rem 0}\
@media(max-width:640px){td.text{white-space:nowrap}.bar{min-width:90px}body{padding:.7rem;font-size:14px}.h280{height:220px}.h220{height:180px}.x.wide{display:none}.plot{margin-left:3.1rem}}\
@media print{:root{--ink:#000;--soft:#333;--line:#ccc;--back:#fff;--card:#f2f2f2;--blue:#1f4e9e;--good:#14743c;--bad:#b5421a;--grey:#888}body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}figure,table,.cards{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";
